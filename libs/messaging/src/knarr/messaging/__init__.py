"""How Knarr's parts talk: subjects, streams, permissions, one supervised connection, consuming and blobs.

Services import this in their adapters only. Nothing here decides anything about the messages it carries.
"""
