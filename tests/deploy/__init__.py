"""What stands in deploy/: does it build, is it taken by a real cluster, does each part get by with what it is given."""
