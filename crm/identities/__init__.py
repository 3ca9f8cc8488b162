"""Who is behind a browser, a user id or an e-mail address, and since when."""
