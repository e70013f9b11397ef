"""Who sent a delivery: one class for each way in which senders of webhooks prove who they are. No I/O, no clock."""
