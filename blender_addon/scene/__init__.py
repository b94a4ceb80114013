"""Bundle -> Blender objects, and Blender objects -> shot.json."""
