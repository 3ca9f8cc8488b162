"""One folder for each outside party, and the code that they share to reach the API."""
