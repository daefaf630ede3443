# Nothing: the layer of a build step that only changes the configuration.
true
