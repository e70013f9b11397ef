"""Rollbacks: planned from the log, proposed and approved as events, and looked at afterwards."""
