"""pygit2, and nothing else of the fetcher touches it: bare mirrors, credentials, and errors made into numbers."""
