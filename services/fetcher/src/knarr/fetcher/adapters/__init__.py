"""The world of the fetcher: Git, the broker, the state folder, and who calls in."""
