"""Engine.IO sessions and what leaves through them."""
