"""How far a query embedding may move before its top-1 item changes."""
