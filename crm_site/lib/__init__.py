"""What every room needs and no room owns: tenancy, permissions, money, crypto, registries. No models."""
