"""The firewalls of the host, rules of a lab, and settings that several labs share."""
