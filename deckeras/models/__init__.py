"""The models: DEC and IDEC, and weights of DEC-keras for them."""
