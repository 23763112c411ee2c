"""Commands of a lab (`run:`): starting them, waiting until they are ready, ending whole trees."""
