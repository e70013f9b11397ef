"""The independent verifier: tells from the bytes of the topics whether they are what was sealed.

It shares nothing with the sealer, neither its code nor the models of the records, so that a mistake in either is found
by the other. What it checks against is written in ``docs/audit.md``, and in RFC 6962 and RFC 8032.
"""
