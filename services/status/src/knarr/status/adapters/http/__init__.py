"""The API, the stream and the page over aiohttp."""
