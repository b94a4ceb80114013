import bpy

settings = bpy.context.scene.sonic4d

settings.room_kind = "half_space"
settings.use_materials = True
settings.walls.floor = "asphalt"
