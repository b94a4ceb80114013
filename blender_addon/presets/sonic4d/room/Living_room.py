import bpy

settings = bpy.context.scene.sonic4d

settings.room_kind = "shoebox"
settings.room_size = (4.5, 6.0, 2.6)
settings.use_materials = True
settings.walls.left = "plasterboard"
settings.walls.right = "plastered_brick"
settings.walls.back = "curtain"
settings.walls.front = "plastered_brick"
settings.walls.floor = "thick_carpet"
settings.walls.ceiling = "plasterboard"
