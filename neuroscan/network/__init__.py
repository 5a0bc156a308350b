"""The classifier, its preprocessing, its bundles (torch, torchvision, numpy, safetensors only)."""
