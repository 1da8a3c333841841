"""What people see of the small GitHub in a browser: pages without scripts, forms that a signed-in person may send."""
