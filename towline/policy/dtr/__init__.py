"""From policies of Docker Trusted Registry (DTR, later MSR) to a policy file.

Reads what its API returns for promotion, push-mirroring and poll-mirroring policies. What has no counterpart becomes a
note, what cannot be said becomes a problem; nothing is dropped silently, and secrets are never repeated.
"""
