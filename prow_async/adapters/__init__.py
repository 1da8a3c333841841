"""The outside world behind the ports. They translate; they never decide."""
