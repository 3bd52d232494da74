"""Real servers for every test of the workspace; started only by the tests that ask for them."""

pytest_plugins = ["knarr.testkit.servers", "knarr.testkit.installation"]
