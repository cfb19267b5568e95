"""The doors for backends: what they may ask for, carried out once, now or later, whichever way it came."""
