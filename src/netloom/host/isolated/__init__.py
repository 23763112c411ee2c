"""One command in a network of its own (`netloom run`), and what leads out of there."""
