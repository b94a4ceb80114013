import bpy

export = bpy.context.scene.sonic4d.export

export.picture = "RENDER"
export.sound = "TAKE"
export.codec = "PCM"
export.level = "TAKE"
export.sidecars = {"WAV", "STEMS", "AMBIX", "ADM"}
