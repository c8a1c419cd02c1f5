"""The desk: who asks something of the running gateway, asks here."""
