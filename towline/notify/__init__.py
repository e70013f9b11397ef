"""Webhooks out, the pure side: who is to be told of what, and in which words. Sending is :mod:`towline.receivers`."""
