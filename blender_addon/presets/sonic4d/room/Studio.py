import bpy

settings = bpy.context.scene.sonic4d

settings.room_kind = "shoebox"
settings.room_size = (5.0, 6.5, 3.0)
settings.use_materials = True
settings.walls.left = "mineral_wool"
settings.walls.right = "mineral_wool"
settings.walls.back = "mineral_wool"
settings.walls.front = "heavy_curtain"
settings.walls.floor = "thin_carpet"
settings.walls.ceiling = "acoustic_tile"
