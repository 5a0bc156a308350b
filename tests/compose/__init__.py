"""The deployment as a whole: real images, real containers, and what happens to them."""
