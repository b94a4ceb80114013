import bpy

settings = bpy.context.scene.sonic4d

settings.room_kind = "shoebox"
settings.room_size = (14.0, 32.0, 12.0)
settings.use_materials = True
settings.walls.left = "limestone"
settings.walls.right = "limestone"
settings.walls.back = "limestone"
settings.walls.front = "limestone"
settings.walls.floor = "wooden_floor"
settings.walls.ceiling = "wood_panelling"
