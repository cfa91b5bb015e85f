"""The house itself: who knows whom, how large it is, what the docs say."""
