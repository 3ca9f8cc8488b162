"""The audit log: who did what to whose data, when and from where; it is only added to, and it proves that."""
