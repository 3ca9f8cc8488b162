"""The whole customer: what spans the other features."""
