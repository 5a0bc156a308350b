"""The same network behind other servers, each as its own documentation puts an image classifier."""
