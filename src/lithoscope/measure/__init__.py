"""How much of what: phases, profiles, intervals."""
