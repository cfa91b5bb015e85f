"""The package, the stack and the function as the cloud runs them."""
