"""Files that outlive a process: those of earlier versions open in this one, those of later ones are told of."""
