import bpy

export = bpy.context.scene.sonic4d.export

export.picture = "RENDER"
export.sound = "TAKE"
export.codec = "AAC"
export.level = "LOUDNESS"
export.lufs = -14
export.true_peak_dbtp = -1
