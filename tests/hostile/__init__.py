"""Every numbered row of bad, hostile and unlucky inputs has its test here or is marked where it is."""
