"""Receivers of webhooks: how what they are sent is signed, when it is sent again, and sending it."""
