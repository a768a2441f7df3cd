"""chronolake: a hybrid analytics engine for web archives."""
