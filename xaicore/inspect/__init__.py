"""What a Keras model is made of: sites, graph, kinds, affine forms, facts.  Stands below the engine."""
