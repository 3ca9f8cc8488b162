"""Growing past one machine: which collection is spread by what, what that costs, and how many machines it takes."""
