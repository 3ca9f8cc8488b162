"""The inbox: what other systems deliver by webhook, kept until it is carried out."""
