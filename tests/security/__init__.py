"""What hostile or unlucky callers send: each guard, and a control that fails without it."""
