import bpy

settings = bpy.context.scene.sonic4d

settings.room_kind = "shoebox"
settings.room_size = (24.0, 45.0, 18.0)
settings.use_materials = True
settings.walls.left = "wood_panelling"
settings.walls.right = "wood_panelling"
settings.walls.back = "wood_panelling"
settings.walls.front = "plastered_brick"
settings.walls.floor = "upholstered_seats"
settings.walls.ceiling = "plasterboard"
