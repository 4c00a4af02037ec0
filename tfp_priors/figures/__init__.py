"""Arrays to pictures: these functions see no models and no data sets."""
