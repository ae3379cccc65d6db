"""Files from elsewhere: fetched once, resumed, verified, recorded."""
