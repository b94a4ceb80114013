import bpy

settings = bpy.context.scene.sonic4d

settings.room_kind = "shoebox"
settings.room_size = (2.2, 3.0, 2.5)
settings.use_materials = True
settings.walls.left = "ceramic_tiles"
settings.walls.right = "ceramic_tiles"
settings.walls.back = "curtain"
settings.walls.front = "wooden_door"
settings.walls.floor = "ceramic_tiles"
settings.walls.ceiling = "plasterboard"
