"""The words that Knarr's services share: messages, names, digests and numbered errors.

Every service imports this and nothing of another service. The message modules (snapshot, revision, assignment,
report, decision, failure) are generated from proto/ by `make proto`; codec turns them into bytes and back.
"""
